/* Inner parts of the frame decoder. */
#ifndef SATLLM_READER_H
#define SATLLM_READER_H

#include "satllm_ros/codec.h"

enum {
  RAW = 0,
  INT8 = 1,
  FP16 = 2,
  TOPK = 3,
  RANDTOPK = 4,
  MASK = 5,
  MASK_DYNAMIC = 6,
  KLT = 7
};

typedef struct {
  const uint8_t *at;
  size_t bytes;
} section;

/* Everything that decoding one frame needs. */
typedef struct {
  const satllm_artefacts *artefacts;
  const satllm_cut *cut;
  unsigned codec, bits;
  uint32_t images, tokens, patches, prefix_tokens, width;
  size_t elements, kept; /* of an image's patch tokens; how many of them are sent */
  section prefix;
  const uint8_t *lengths; /* of the chunks */
  const uint8_t *chunks;
  float *out;
  void *scratch;
  satllm_inflate inflate;
  void *inflate_context;
} job;

uint16_t satllm_u16(const uint8_t *at);
uint32_t satllm_u32(const uint8_t *at);
float satllm_f32(const uint8_t *at);
float satllm_half(uint16_t bits);
uint32_t satllm_crc32(const uint8_t *at, size_t bytes);

/* Chunk of an image; `at` walks along. */
section satllm_chunk(const job *j, uint32_t image, const uint8_t **at);
/* One zstd frame that is the whole section and holds exactly `bytes`. */
satllm_fault satllm_unzip(const job *j, section from, void *to, size_t bytes);
/* The class and register tokens as codec `int8` sends them. */
satllm_fault satllm_read_prefix(const job *j);

satllm_fault satllm_read_plain(const job *j);
satllm_fault satllm_read_int8(const job *j);
satllm_fault satllm_read_sparse(const job *j);
satllm_fault satllm_read_klt(const job *j);

#endif
