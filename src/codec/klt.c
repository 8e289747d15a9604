/* Codec `klt`. Sums are of whole numbers below 2^53, so they are exact in double in any order. */
#include <string.h>

#include "reader.h"

enum { ROW = SATLLM_DIGITS + 1, LEVELS_PER_STEP = 16, TOKEN_UNIT = 1 << 14 };

/* The coefficients that a step sends of one group of tokens, by class. */
typedef struct {
  uint32_t *places;
  uint8_t *classes;
  size_t count;
} order;

static int class_of(uint8_t std, unsigned step) {
  int quarter_octaves = (int)std - 1 - (int)step;
  if (quarter_octaves < 0) return -1;
  return quarter_octaves / 2 < SATLLM_CLASSES ? quarter_octaves / 2 : SATLLM_CLASSES - 1;
}

/* Counting sort: classes ascending, places ascending within a class. */
static void sort(const uint8_t *std, size_t count, unsigned step, order *found) {
  size_t next[SATLLM_CLASSES + 1] = {0}, i;
  int symbol_class;
  for (i = 0; i < count; i++)
    if ((symbol_class = class_of(std[i], step)) >= 0) next[symbol_class + 1]++;
  for (symbol_class = 0; symbol_class < SATLLM_CLASSES; symbol_class++) next[symbol_class + 1] += next[symbol_class];
  found->count = next[SATLLM_CLASSES];
  for (i = 0; i < count; i++) {
    if ((symbol_class = class_of(std[i], step)) < 0) continue;
    found->places[next[symbol_class]] = (uint32_t)i;
    found->classes[next[symbol_class]++] = (uint8_t)symbol_class;
  }
}

static void starts_of(const uint16_t *frequencies, uint16_t *starts) {
  unsigned table, digit;
  for (table = 0; table < SATLLM_TABLE_CLASSES; table++) {
    uint16_t *row = starts + table * ROW;
    row[0] = 0;
    for (digit = 0; digit < SATLLM_DIGITS; digit++)
      row[digit + 1] = (uint16_t)(row[digit] + frequencies[table * SATLLM_DIGITS + digit]);
  }
}

static double level(int32_t symbol, unsigned symbol_class, const uint8_t *shifts) {
  int32_t shift = symbol_class < SATLLM_TABLE_CLASSES ? shifts[symbol_class] : 0;
  if (symbol == 0) return 0.0;
  return symbol > 0 ? (double)symbol * LEVELS_PER_STEP - shift : (double)symbol * LEVELS_PER_STEP + shift;
}

/* to (rows, D) = levels (rows, K) * inverse (K, D); most levels are 0. */
static void to_channels(const double *levels, size_t rows, size_t coefficients, const int16_t *inverse, size_t width,
                        double *to) {
  size_t row, k, d;
  memset(to, 0, rows * width * sizeof *to);
  for (row = 0; row < rows; row++)
    for (k = 0; k < coefficients; k++) {
      double scale = levels[row * coefficients + k];
      if (scale == 0.0) continue;
      for (d = 0; d < width; d++) to[row * width + d] += scale * inverse[k * width + d];
    }
}

static void finish(const double *sums, const uint16_t *mean, const float *scale, float step_scale, size_t rows,
                   size_t width, float *to) {
  size_t i;
  for (i = 0; i < rows * width; i++) {
    float factor = scale[i % width] * step_scale;
    float product = (float)sums[i] * factor;
    to[i] = product + satllm_half(mean[i]);
  }
}

static satllm_fault read_prefix(const job *j, float step_scale, double *levels, double *sums, order found,
                                int32_t *symbols, uint16_t *starts) {
  const satllm_tables *tables = j->cut->tables;
  const uint8_t *shifts = j->artefacts->shifts + SATLLM_TABLE_CLASSES;
  size_t count = (size_t)j->prefix_tokens * tables->prefix_coefficients, image, i;
  if (j->prefix_tokens == 0) return j->prefix.bytes ? SATLLM_PAYLOAD : SATLLM_OK;
  starts_of(j->artefacts->frequencies + SATLLM_TABLE_CLASSES * SATLLM_DIGITS, starts);
  sort(tables->prefix_std, count, j->bits, &found);
  for (image = 1; image < j->images; image++)
    memcpy(found.classes + image * found.count, found.classes, found.count);
  if (satllm_rans_decode(j->prefix.at, j->prefix.bytes, found.classes, found.count * j->images, starts, symbols))
    return SATLLM_PAYLOAD;
  for (image = 0; image < j->images; image++) {
    memset(levels, 0, count * sizeof *levels);
    for (i = 0; i < found.count; i++)
      levels[found.places[i]] = level(symbols[image * found.count + i], found.classes[i], shifts);
    to_channels(levels, j->prefix_tokens, tables->prefix_coefficients, tables->prefix_inverse, j->width, sums);
    for (i = 0; i < (size_t)j->prefix_tokens * j->width; i++) sums[i] *= TOKEN_UNIT;
    finish(sums, tables->token_mean, tables->prefix_inverse_scale, step_scale, j->prefix_tokens, j->width,
           j->out + image * j->tokens * j->width);
  }
  return SATLLM_OK;
}

/* sums (T, D) = transform' (T, T) * values (T, D). */
static void to_tokens(const double *values, const int16_t *transform, size_t patches, size_t width, double *sums) {
  size_t from, to, d;
  memset(sums, 0, patches * width * sizeof *sums);
  for (from = 0; from < patches; from++)
    for (to = 0; to < patches; to++) {
      double scale = transform[from * patches + to];
      for (d = 0; d < width; d++) sums[to * width + d] += scale * values[from * width + d];
    }
}

satllm_fault satllm_read_klt(const job *j) {
  static const float quarter_octaves[4] = {1.0f, 1.1892071f, 1.4142135f, 1.6817929f};
  const satllm_tables *tables = j->cut->tables;
  size_t count = (size_t)j->patches * tables->coefficients;
  size_t prefix_count = (size_t)j->prefix_tokens * tables->prefix_coefficients;
  size_t most = count > prefix_count ? count : prefix_count;
  size_t most_symbols = count > prefix_count * j->images ? count : prefix_count * j->images;
  float step_scale = quarter_octaves[j->bits % 4] * (float)(1u << (j->bits / 4));
  double *levels = j->scratch, *values = levels + most, *sums = values + (size_t)j->tokens * j->width;
  int32_t *symbols = (int32_t *)(sums + (size_t)j->tokens * j->width);
  order found = {(uint32_t *)(symbols + most_symbols), NULL, 0};
  uint16_t *starts = (uint16_t *)(found.places + most);
  const uint8_t *at = j->chunks;
  uint32_t image;
  size_t i;
  satllm_fault fault;
  found.classes = (uint8_t *)(starts + SATLLM_TABLE_CLASSES * ROW);
  fault = read_prefix(j, step_scale, levels, sums, found, symbols, starts);
  starts_of(j->artefacts->frequencies, starts);
  sort(tables->std, count, j->bits, &found);
  for (image = 0; !fault && image < j->images; image++) {
    section chunk = satllm_chunk(j, image, &at);
    if (satllm_rans_decode(chunk.at, chunk.bytes, found.classes, found.count, starts, symbols)) return SATLLM_PAYLOAD;
    memset(levels, 0, count * sizeof *levels);
    for (i = 0; i < found.count; i++)
      levels[found.places[i]] = level(symbols[i], found.classes[i], j->artefacts->shifts);
    to_channels(levels, j->patches, tables->coefficients, tables->inverse, j->width, values);
    to_tokens(values, tables->token_transform, j->patches, j->width, sums);
    finish(sums, tables->token_mean + (size_t)j->prefix_tokens * j->width, tables->inverse_scale, step_scale,
           j->patches, j->width, j->out + ((size_t)image * j->tokens + j->prefix_tokens) * j->width);
  }
  return fault;
}
