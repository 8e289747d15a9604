/* Numbers from bytes, sections from a frame. */
#include <string.h>

#include "reader.h"

enum { MAX_WINDOW_BYTES = 1 << 20 };

uint16_t satllm_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

uint32_t satllm_u32(const uint8_t *at) { return satllm_u16(at) | (uint32_t)satllm_u16(at + 2) << 16; }

float satllm_f32(const uint8_t *at) {
  uint32_t bits = satllm_u32(at);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float satllm_half(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023, wide;
  float value;
  if (exponent == 0) {
    value = (float)fraction * 5.9604644775390625e-8f; /* 2^-24 */
    return sign ? -value : value;
  }
  wide = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
  memcpy(&value, &wide, sizeof value);
  return value;
}

uint32_t satllm_crc32(const uint8_t *at, size_t bytes) {
  /* Four bits at a time: a table of 64 bytes, no state to prepare. */
  static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                     0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xffffffffu;
  while (bytes--) {
    crc ^= *at++;
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

section satllm_chunk(const job *j, uint32_t image, const uint8_t **at) {
  section found = {*at, satllm_u32(j->lengths + 4 * (size_t)image)};
  *at += found.bytes;
  return found;
}

/* Content size and window of a zstd frame (RFC 8878, 3.1.1.1); 0 if the header is whole and says both. */
static int zstd_header(section from, uint64_t *content, uint64_t *window) {
  static const unsigned content_bytes[4] = {0, 2, 4, 8}, dictionary_bytes[4] = {0, 1, 2, 4};
  unsigned descriptor, single, size, i;
  size_t at = 5;
  if (from.bytes < 6 || satllm_u32(from.at) != 0xfd2fb528u) return -1;
  descriptor = from.at[4];
  single = descriptor >> 5 & 1;
  size = content_bytes[descriptor >> 6];
  if (size == 0 && single) size = 1;
  if (size == 0 || descriptor & 8) return -1;
  if (!single) {
    unsigned code = from.at[at++];
    *window = ((uint64_t)1 << (10 + (code >> 3))) * (8 + (code & 7)) / 8;
  }
  at += dictionary_bytes[descriptor & 3];
  if (from.bytes < at + size) return -1;
  *content = 0;
  for (i = 0; i < size; i++) *content |= (uint64_t)from.at[at + i] << (8 * i);
  if (size == 2) *content += 256;
  if (single) *window = *content;
  return 0;
}

satllm_fault satllm_unzip(const job *j, section from, void *to, size_t bytes) {
  uint64_t content = 0, window = 0;
  if (zstd_header(from, &content, &window) || content != bytes || window > MAX_WINDOW_BYTES) return SATLLM_PAYLOAD;
  return j->inflate(j->inflate_context, to, bytes, from.at, from.bytes) ? SATLLM_PAYLOAD : SATLLM_OK;
}
