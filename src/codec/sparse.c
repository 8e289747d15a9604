/* Codecs `topk` and `randtopk`, whose places are sent, and `mask` and `mask_dynamic`, whose places are known. */
#include <string.h>

#include "reader.h"

enum { RANGE_BYTES = 8 };

/* The range of a chunk with a dynamic one. */
typedef struct {
  float low, step;
} range;

static satllm_fault read_range(const job *j, section *chunk, range *found) {
  float low, high;
  if (chunk->bytes < RANGE_BYTES) return SATLLM_PAYLOAD;
  low = satllm_f32(chunk->at);
  high = satllm_f32(chunk->at + 4);
  if (!(0.0f <= low && low <= high && high <= 1e38f)) return SATLLM_NOT_FINITE;
  found->low = low;
  found->step = (high - low) / (float)((1 << (j->bits - 1)) - 1);
  chunk->at += RANGE_BYTES;
  chunk->bytes -= RANGE_BYTES;
  return SATLLM_OK;
}

static satllm_fault read_symbols(const job *j, section from, uint8_t *symbols) {
  size_t i;
  satllm_fault fault;
  if (j->kept == 0) return from.bytes ? SATLLM_PAYLOAD : SATLLM_OK;
  fault = satllm_unzip(j, from, symbols, j->kept);
  for (i = 0; !fault && i < j->kept; i++)
    if (symbols[i] >> j->bits) fault = SATLLM_PAYLOAD;
  return fault;
}

static float rebuilt(unsigned symbol, range r) {
  float product = (float)(symbol >> 1) * r.step, magnitude = product + r.low;
  return symbol & 1 ? -magnitude : magnitude;
}

/* A byte of `marks` for each element: 1 if it is sent. */
static satllm_fault read_bitmap(const job *j, section *chunk, uint8_t *packed, uint8_t *marks) {
  size_t bitmap_bytes = (j->elements + 7) / 8, i, count = 0;
  section bitmap;
  satllm_fault fault;
  if (chunk->bytes < 4) return SATLLM_PAYLOAD;
  bitmap.at = chunk->at + 4;
  bitmap.bytes = satllm_u32(chunk->at);
  if (bitmap.bytes > chunk->bytes - 4) return SATLLM_PAYLOAD;
  chunk->at += 4 + bitmap.bytes;
  chunk->bytes -= 4 + bitmap.bytes;
  fault = satllm_unzip(j, bitmap, packed, bitmap_bytes);
  if (fault) return fault;
  for (i = 0; i < j->elements; i++) count += marks[i] = packed[i / 8] >> (i % 8) & 1;
  if (j->elements % 8 && packed[bitmap_bytes - 1] >> (j->elements % 8)) return SATLLM_PAYLOAD;
  return count == j->kept ? SATLLM_OK : SATLLM_PAYLOAD;
}

static void rebuild(const job *j, const uint8_t *marks, const uint8_t *symbols, range r, float *to) {
  const satllm_tables *tables = j->cut->tables;
  size_t i, next = 0;
  float largest = (float)((1 << (j->bits - 1)) - 1);
  for (i = 0; i < j->elements; i++) {
    float mean = 0.0f;
    if (j->codec == MASK || j->codec == MASK_DYNAMIC)
      mean = satllm_half(tables->token_mean[(size_t)j->prefix_tokens * j->width + i]);
    if (!marks[i]) {
      to[i] = mean;
    } else if (j->codec == MASK) {
      float step = tables->spread[(size_t)j->prefix_tokens * j->width + i % j->width] / largest;
      float magnitude = (float)(symbols[next] >> 1);
      float product = (symbols[next++] & 1 ? -magnitude : magnitude) * step;
      to[i] = product + mean;
    } else {
      to[i] = rebuilt(symbols[next++], r);
    }
  }
}

satllm_fault satllm_read_sparse(const job *j) {
  satllm_fault fault = satllm_read_prefix(j);
  int is_static = j->codec == MASK || j->codec == MASK_DYNAMIC;
  uint8_t *marks = j->scratch, *symbols = marks + j->elements, *packed = symbols + j->elements;
  const uint8_t *at = j->chunks;
  range r = {0.0f, 0.0f};
  uint32_t image;
  size_t i;
  if (is_static) {
    memset(marks, 0, j->elements);
    for (i = 0; i < j->kept; i++) marks[j->cut->tables->mask_order[i]] = 1;
  }
  for (image = 0; !fault && image < j->images; image++) {
    section chunk = satllm_chunk(j, image, &at);
    if (j->codec != MASK) fault = read_range(j, &chunk, &r);
    if (!fault && !is_static) fault = read_bitmap(j, &chunk, packed, marks);
    if (!fault) fault = read_symbols(j, chunk, symbols);
    if (!fault)
      rebuild(j, marks, symbols, r, j->out + ((size_t)image * j->tokens + j->prefix_tokens) * j->width);
  }
  return fault;
}
