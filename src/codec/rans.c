/* Range coder with static integer tables: a state of 32 bits, renormalized by 16-bit words. */
#include <string.h>

#include "satllm_ros/codec.h"

enum { SCALE_BITS = 14, SCALE = 1 << SCALE_BITS, LEAST_STATE = 1 << 16, STATE_BYTES = 4, ROW = SATLLM_DIGITS + 1 };

static unsigned table_of(unsigned symbol_class, unsigned *low_bits) {
  unsigned table = symbol_class < SATLLM_TABLE_CLASSES ? symbol_class : SATLLM_TABLE_CLASSES - 2 + (symbol_class & 1);
  *low_bits = (symbol_class - table) >> 1;
  return table;
}

/* Words are written from the end of the room to its beginning, so that a decoder reads them forwards. */
typedef struct {
  uint32_t state;
  uint8_t *next, *least;
  int overflow;
} encoder;

static void push(encoder *e, uint32_t start, uint32_t frequency) {
  if (e->state >= (uint64_t)frequency << (32 - SCALE_BITS)) {
    if (e->next - e->least < 2) {
      e->overflow = 1;
      return;
    }
    *--e->next = (uint8_t)(e->state >> 8);
    *--e->next = (uint8_t)e->state;
    e->state >>= 16;
  }
  e->state = (e->state / frequency << SCALE_BITS) + e->state % frequency + start;
}

size_t satllm_rans_encode(const int32_t *symbols, const uint8_t *classes, size_t count, const uint16_t *starts,
                          uint8_t *out, size_t room) {
  encoder e = {LEAST_STATE, out + room, out + STATE_BYTES, room < STATE_BYTES};
  size_t used;
  while (count-- > 0 && !e.overflow) {
    unsigned low_bits, table = table_of(classes[count], &low_bits);
    int32_t half = (1 << low_bits) >> 1, shifted = symbols[count] + half;
    /* Floor division that does not lean on how a compiler shifts negative numbers. */
    int32_t digit = shifted >= 0 ? shifted >> low_bits : -((-shifted + (1 << low_bits) - 1) >> low_bits);
    const uint16_t *row = starts + table * ROW + SATLLM_LARGEST_DIGIT + digit;
    if (low_bits) {
      uint32_t width = 1u << (SCALE_BITS - low_bits);
      push(&e, (uint32_t)(shifted - digit * (1 << low_bits)) * width, width);
    }
    push(&e, row[0], (uint32_t)row[1] - row[0]);
  }
  if (e.overflow) return 0;
  used = (size_t)(out + room - e.next);
  out[0] = (uint8_t)e.state;
  out[1] = (uint8_t)(e.state >> 8);
  out[2] = (uint8_t)(e.state >> 16);
  out[3] = (uint8_t)(e.state >> 24);
  memmove(out + STATE_BYTES, e.next, used);
  return STATE_BYTES + used;
}

typedef struct {
  uint32_t state;
  const uint8_t *next, *end;
} decoder;

static int pull(decoder *d, uint32_t start, uint32_t frequency) {
  d->state = frequency * (d->state >> SCALE_BITS) + (d->state & (SCALE - 1)) - start;
  if (d->state < LEAST_STATE) {
    if (d->next == d->end) return -1;
    d->state = d->state << 16 | (uint32_t)d->next[1] << 8 | d->next[0];
    d->next += 2;
  }
  return 0;
}

static unsigned find(const uint16_t *row, uint32_t slot) {
  unsigned low = 0, high = SATLLM_DIGITS;
  /* Most symbols are 0. */
  if (row[SATLLM_LARGEST_DIGIT] <= slot && slot < row[SATLLM_LARGEST_DIGIT + 1]) return SATLLM_LARGEST_DIGIT;
  while (high - low > 1) {
    unsigned middle = (low + high) / 2;
    if (row[middle] <= slot) low = middle;
    else high = middle;
  }
  return low;
}

int satllm_rans_decode(const uint8_t *in, size_t bytes, const uint8_t *classes, size_t count, const uint16_t *starts,
                       int32_t *symbols) {
  decoder d;
  size_t i;
  if (bytes < STATE_BYTES || bytes % 2) return -1;
  d.state = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
  d.next = in + STATE_BYTES;
  d.end = in + bytes;
  for (i = 0; i < count; i++) {
    unsigned low_bits, table = table_of(classes[i], &low_bits);
    const uint16_t *row = starts + table * ROW;
    unsigned digit = find(row, d.state & (SCALE - 1));
    int32_t symbol = (int32_t)digit - SATLLM_LARGEST_DIGIT;
    if (pull(&d, row[digit], (uint32_t)row[digit + 1] - row[digit])) return -1;
    if (low_bits) {
      uint32_t width = 1u << (SCALE_BITS - low_bits), low = (d.state & (SCALE - 1)) / width;
      if (pull(&d, low * width, width)) return -1;
      symbol = symbol * (1 << low_bits) + (int32_t)low - (1 << (low_bits - 1));
    }
    symbols[i] = symbol;
  }
  return d.next == d.end && d.state == LEAST_STATE ? 0 : -1;
}
