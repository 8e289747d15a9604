/* Codecs `raw`, `fp16` and `int8`, and the class and register tokens of all that quantize them like `int8`. */
#include <math.h>

#include "reader.h"

static satllm_fault read_values(const job *j, section from, float *to, size_t count) {
  size_t i, size = j->codec == RAW ? 4 : 2;
  for (i = 0; i < count; i++) {
    to[i] = j->codec == RAW ? satllm_f32(from.at + size * i) : satllm_half(satllm_u16(from.at + size * i));
    if (!isfinite(to[i])) return SATLLM_NOT_FINITE;
  }
  return SATLLM_OK;
}

satllm_fault satllm_read_plain(const job *j) {
  size_t size = j->codec == RAW ? 4 : 2, prefix = (size_t)j->prefix_tokens * j->width;
  const uint8_t *at = j->chunks;
  uint32_t image;
  /* Sizes first: that a value is not finite is only said of a frame that is whole. */
  if (j->prefix.bytes != size * j->images * prefix) return SATLLM_PAYLOAD;
  for (image = 0; image < j->images; image++)
    if (satllm_chunk(j, image, &at).bytes != size * j->elements) return SATLLM_PAYLOAD;
  at = j->chunks;
  for (image = 0; image < j->images; image++) {
    float *to = j->out + (size_t)image * j->tokens * j->width;
    section values = {j->prefix.at + size * image * prefix, 0};
    satllm_fault fault = read_values(j, values, to, prefix);
    if (!fault) fault = read_values(j, satllm_chunk(j, image, &at), to + prefix, j->elements);
    if (fault) return fault;
  }
  return SATLLM_OK;
}

satllm_fault satllm_read_prefix(const job *j) {
  size_t each = (size_t)j->prefix_tokens * j->width, count = each * j->images, i;
  uint8_t *low = j->scratch, *high = low + count;
  satllm_fault fault;
  if (count == 0) return j->prefix.bytes ? SATLLM_PAYLOAD : SATLLM_OK;
  fault = satllm_unzip(j, j->prefix, low, 2 * count);
  for (i = 0; !fault && i < count; i++) {
    int32_t symbol = (int32_t)((uint32_t)high[i] << 8 | low[i]);
    float product = (float)(symbol < 32768 ? symbol : symbol - 65536) * j->cut->prefix_step[i % each];
    j->out[i / each * j->tokens * j->width + i % each] = product + j->cut->prefix_mean[i % each];
  }
  return fault;
}

satllm_fault satllm_read_int8(const job *j) {
  satllm_fault fault = satllm_read_prefix(j);
  const uint8_t *at = j->chunks, *symbols = j->scratch;
  uint32_t image;
  size_t i;
  for (image = 0; !fault && image < j->images; image++) {
    float *to = j->out + ((size_t)image * j->tokens + j->prefix_tokens) * j->width;
    fault = satllm_unzip(j, satllm_chunk(j, image, &at), j->scratch, j->elements);
    for (i = 0; !fault && i < j->elements; i++) {
      float product = (float)(symbols[i] < 128 ? symbols[i] : symbols[i] - 256) * j->cut->step[i % j->width];
      to[i] = product + j->cut->mean[i % j->width];
    }
  }
  return fault;
}
