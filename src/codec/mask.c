/* The inner loops of codec `mask`; every product and sum rounds to float32 by itself, as numpy's do. */
#include <math.h>
#include <string.h>

#include "satllm_ros/codec.h"

/* Where gcc can make a second version for wider registers and choose when loading, it does. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__) && \
    !defined(__SANITIZE_ADDRESS__)
#define SATLLM_WIDE __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define SATLLM_WIDE
#endif

SATLLM_WIDE size_t satllm_mask_gather(const float *restrict image, const uint32_t *restrict places, size_t count,
                                      const float *restrict mean, const float *restrict inverse_step, float largest,
                                      uint8_t *restrict symbols) {
  size_t i;
  uint32_t lost = 0;
  for (i = 0; i < count; i++) {
    float value = image[places[i]];
    float steps = (value - mean[i]) * inverse_step[i];
    float magnitude = fabsf(steps);
    uint32_t bits, negative;
    memcpy(&bits, &value, sizeof bits);
    lost += (bits & 0x7f800000u) == 0x7f800000u;
    negative = steps < 0.0f;
    /* NaN fails the comparison and becomes 0. */
    magnitude = magnitude >= 0.0f ? magnitude : 0.0f;
    magnitude = magnitude < largest ? magnitude : largest;
    /* Adding 1.5 * 2^23 leaves the number rounded half to even in the lowest bits. */
    magnitude += 12582912.0f;
    memcpy(&bits, &magnitude, sizeof bits);
    symbols[i] = (uint8_t)(bits << 1 | negative);
  }
  return lost;
}

SATLLM_WIDE void satllm_mask_scatter(const uint8_t *restrict symbols, const uint32_t *restrict places, size_t count,
                                     const float *restrict mean, const float *restrict step,
                                     const float *restrict fill, size_t elements, float *restrict image) {
  size_t i;
  memcpy(image, fill, elements * sizeof *image);
  for (i = 0; i < count; i++) {
    float magnitude = (float)(symbols[i] >> 1);
    float signed_magnitude = symbols[i] & 1 ? -magnitude : magnitude;
    image[places[i]] = signed_magnitude * step[i] + mean[i];
  }
}
