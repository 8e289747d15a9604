/* The frame: the checks of docs/wire-format.md in their order, then the codec. */
#include <math.h>
#include <string.h>

#include "reader.h"

enum { VERSION = 1, HEADER_BYTES = 52, CRC_BYTES = 4, KLT_STARTS_BYTES = 2 * SATLLM_TABLE_CLASSES * (SATLLM_DIGITS + 1) };

static int is_offered(unsigned codec, float keep_ratio, unsigned bits) {
  switch (codec) {
    case RAW: return keep_ratio == 1.0f && bits == 32;
    case INT8: return keep_ratio == 1.0f && bits == 8;
    case FP16: return keep_ratio == 1.0f && bits == 16;
    case KLT: return keep_ratio == 1.0f && bits < 64;
    default: return keep_ratio > 0.0f && keep_ratio <= 1.0f && bits >= 6 && bits <= 8;
  }
}

static const satllm_cut *find_cut(const satllm_artefacts *artefacts, unsigned cut) {
  size_t i;
  for (i = 0; i < artefacts->cut_count; i++)
    if (artefacts->cuts[i].cut == cut) return artefacts->cuts + i;
  return NULL;
}

/* a * b * c > limit, whatever they are. */
static int exceeds(uint64_t a, uint64_t b, uint64_t c, uint64_t limit) {
  uint64_t product = a * b; /* of 32 bits each */
  return product > limit || c > limit / product;
}

static satllm_fault check_header(const uint8_t *frame, size_t bytes, const satllm_artefacts *artefacts,
                                 size_t max_elements, job *j) {
  float keep_ratio = satllm_f32(frame + 24);
  unsigned cut = satllm_u16(frame + 10);
  if (memcmp(frame, "SLLM", 4) != 0) return SATLLM_MAGIC;
  if (frame[4] != VERSION) return SATLLM_VERSION;
  if (satllm_u32(frame + 44) != bytes) return SATLLM_LENGTH;
  if (satllm_crc32(frame, bytes - CRC_BYTES) != satllm_u32(frame + bytes - CRC_BYTES)) return SATLLM_CHECKSUM;
  if (satllm_u16(frame + 8) || satllm_u16(frame + 38)) return SATLLM_FLAGS;
  if (frame[6] != 0) return SATLLM_DTYPE;
  if (frame[5] > KLT) return SATLLM_CODEC;
  if (!is_offered(frame[5], keep_ratio, frame[7])) return SATLLM_SETTING;
  if (cut == 0) return SATLLM_CUT;
  j->codec = frame[5];
  j->bits = frame[7];
  j->images = satllm_u32(frame + 12);
  j->tokens = satllm_u32(frame + 16);
  j->width = satllm_u32(frame + 20);
  j->prefix_tokens = satllm_u16(frame + 36);
  if (!j->images || !j->tokens || !j->width || j->prefix_tokens >= j->tokens) return SATLLM_SHAPE;
  if (exceeds(j->images, j->tokens, j->width, max_elements)) return SATLLM_TOO_LARGE;
  if (memcmp(frame + 28, artefacts->id, 8) != 0) return SATLLM_ARTEFACT;
  if (j->width != artefacts->width || j->prefix_tokens != artefacts->prefix_tokens) return SATLLM_SHAPE;
  j->patches = j->tokens - j->prefix_tokens;
  j->elements = (size_t)j->patches * j->width;
  j->kept = (size_t)floor((double)keep_ratio * (double)j->elements + 0.5);
  j->cut = find_cut(artefacts, cut);
  if (j->codec == RAW || j->codec == FP16) return SATLLM_OK;
  if (!j->cut) return SATLLM_CUT;
  if (j->codec < MASK) return SATLLM_OK;
  if (!j->cut->tables) return SATLLM_CUT;
  return j->tokens == j->cut->tables->tokens ? SATLLM_OK : SATLLM_SHAPE;
}

static satllm_fault find_sections(const uint8_t *frame, size_t bytes, job *j) {
  uint64_t start = HEADER_BYTES + 4 * (uint64_t)j->images, stop = bytes - CRC_BYTES, sum;
  uint32_t image;
  j->prefix.bytes = satllm_u32(frame + 48);
  if (start + j->prefix.bytes > stop) return SATLLM_SECTIONS;
  j->lengths = frame + HEADER_BYTES;
  j->prefix.at = frame + start;
  j->chunks = j->prefix.at + j->prefix.bytes;
  sum = start + j->prefix.bytes;
  for (image = 0; image < j->images; image++) sum += satllm_u32(j->lengths + 4 * (size_t)image);
  return sum == stop ? SATLLM_OK : SATLLM_SECTIONS;
}

size_t satllm_scratch_bytes(const satllm_artefacts *artefacts, size_t max_elements) {
  /* Codecs with zstd: at most two bytes of symbols, and marks and bitmap, for every element. */
  size_t most = 4 * max_elements + 64, i;
  for (i = 0; i < artefacts->cut_count; i++) {
    const satllm_tables *tables = artefacts->cuts[i].tables;
    size_t count, sums, symbols;
    if (!tables) continue;
    count = (size_t)tables->tokens * (tables->coefficients + tables->prefix_coefficients);
    sums = (size_t)tables->tokens * artefacts->width;
    symbols = count + max_elements;
    sums = 8 * count + 16 * sums + 4 * symbols + 4 * count + KLT_STARTS_BYTES + symbols;
    if (sums > most) most = sums;
  }
  return most;
}

satllm_fault satllm_decode(const uint8_t *frame, size_t bytes, const satllm_artefacts *artefacts, float *out,
                           size_t max_elements, void *scratch, size_t scratch_bytes, satllm_inflate inflate,
                           void *inflate_context, satllm_frame *found) {
  job j;
  satllm_fault fault;
  memset(&j, 0, sizeof j);
  if (scratch_bytes < satllm_scratch_bytes(artefacts, max_elements)) return SATLLM_SCRATCH;
  if (bytes < HEADER_BYTES + CRC_BYTES) return SATLLM_LENGTH;
  j.artefacts = artefacts;
  j.out = out;
  j.scratch = scratch;
  j.inflate = inflate;
  j.inflate_context = inflate_context;
  fault = check_header(frame, bytes, artefacts, max_elements, &j);
  if (!fault) fault = find_sections(frame, bytes, &j);
  if (fault) return fault;
  found->codec = (uint8_t)j.codec;
  found->bits = (uint8_t)j.bits;
  found->cut = satllm_u16(frame + 10);
  found->images = j.images;
  found->tokens = j.tokens;
  found->width = j.width;
  found->replaced = satllm_u32(frame + 40);
  switch (j.codec) {
    case RAW:
    case FP16: return satllm_read_plain(&j);
    case INT8: return satllm_read_int8(&j);
    case KLT: return satllm_read_klt(&j);
    default: return satllm_read_sparse(&j);
  }
}
