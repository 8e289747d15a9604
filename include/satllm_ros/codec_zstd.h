/* satllm_inflate with libzstd: give a ZSTD_DCtx as context, on flight computers one of ZSTD_initStaticDCtx. */
#ifndef SATLLM_ROS_CODEC_ZSTD_H
#define SATLLM_ROS_CODEC_ZSTD_H

#include <stddef.h>
#include <zstd.h>

static int satllm_inflate_zstd(void *context, void *out, size_t out_bytes, const void *in, size_t in_bytes) {
  /* One frame and nothing after it: ZSTD_decompressDCtx would go on with the next. */
  if (ZSTD_findFrameCompressedSize(in, in_bytes) != in_bytes) return -1;
  return ZSTD_decompressDCtx((ZSTD_DCtx *)context, out, out_bytes, in, in_bytes) == out_bytes ? 0 : -1;
}

#endif
