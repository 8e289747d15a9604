/* Decoder of activation frames (docs/wire-format.md) for flight computers, and the inner loops of the Python codecs.
 *
 * C99. Allocates nothing, keeps no state, writes only where it is told. zstd comes in as a function, so that a flight
 * computer can give it static memory too. */
#ifndef SATLLM_ROS_CODEC_H
#define SATLLM_ROS_CODEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a frame was refused; in the order in which docs/wire-format.md lists the checks. */
typedef enum {
  SATLLM_OK = 0,
  SATLLM_LENGTH,
  SATLLM_MAGIC,
  SATLLM_VERSION,
  SATLLM_CHECKSUM,
  SATLLM_FLAGS,
  SATLLM_DTYPE,
  SATLLM_CODEC,
  SATLLM_SETTING,
  SATLLM_CUT,
  SATLLM_SHAPE,
  SATLLM_TOO_LARGE,
  SATLLM_ARTEFACT,
  SATLLM_SECTIONS,
  SATLLM_PAYLOAD,
  SATLLM_NOT_FINITE,
  SATLLM_SCRATCH /* not the frame's fault: scratch is smaller than satllm_scratch_bytes says */
} satllm_fault;

enum { SATLLM_TABLE_CLASSES = 12, SATLLM_CLASSES = 32, SATLLM_DIGITS = 127, SATLLM_LARGEST_DIGIT = 63 };

/* Decompress exactly one zstd frame that is the whole input; returns 0 if it held exactly `out_bytes`. */
typedef int (*satllm_inflate)(void *context, void *out, size_t out_bytes, const void *in, size_t in_bytes);

/* The artefacts' tensors, as they lie in the file; P class and register tokens, T patch tokens, D channels. */
typedef struct {
  uint32_t tokens;             /* S = P + T */
  uint32_t coefficients;       /* K */
  uint32_t prefix_coefficients; /* Q */
  const uint16_t *token_mean;  /* binary16 (S, D) */
  const float *spread;         /* (P + 1, D) */
  const uint32_t *mask_order;  /* (T D) */
  const int16_t *inverse;      /* (K, D) */
  const float *inverse_scale;  /* (D) */
  const int16_t *token_transform; /* (T, T) */
  const uint8_t *std;          /* (T, K) */
  const int16_t *prefix_inverse;  /* (Q, D) */
  const float *prefix_inverse_scale; /* (D) */
  const uint8_t *prefix_std;   /* (P, Q) */
} satllm_tables;

typedef struct {
  uint16_t cut;
  const float *mean, *step;               /* (D) */
  const float *prefix_mean, *prefix_step; /* (P, D) */
  const satllm_tables *tables;            /* null if this cut has none */
} satllm_cut;

typedef struct {
  uint8_t id[8];
  uint32_t prefix_tokens; /* P */
  uint32_t width;         /* D */
  const satllm_cut *cuts;
  size_t cut_count;
  const uint16_t *frequencies; /* (2, 12, 127); null if there are none */
  const uint8_t *shifts;       /* (2, 12) */
} satllm_artefacts;

typedef struct {
  uint8_t codec, bits;
  uint16_t cut;
  uint32_t images, tokens, width;
  uint32_t replaced;
} satllm_frame;

/* Bytes of scratch that any frame of at most `max_elements` may need; scratch must be aligned for double. */
size_t satllm_scratch_bytes(const satllm_artefacts *artefacts, size_t max_elements);

/* Decode a frame that may be damaged or forged into (N, S, D) floats; `max_elements` is the room in `out`. */
satllm_fault satllm_decode(const uint8_t *frame, size_t bytes, const satllm_artefacts *artefacts, float *out,
                           size_t max_elements, void *scratch, size_t scratch_bytes, satllm_inflate inflate,
                           void *inflate_context, satllm_frame *found);

/* Range coder: one stream of `count` symbols whose classes both ends know. `starts` is (12, 128): where each digit of a
 * table begins, then 16384. Encoding returns the bytes used of `room`, 0 if it is too small. Decoding returns 0 if the
 * stream holds these symbols and nothing else. */
size_t satllm_rans_encode(const int32_t *symbols, const uint8_t *classes, size_t count, const uint16_t *starts,
                          uint8_t *out, size_t room);
int satllm_rans_decode(const uint8_t *in, size_t bytes, const uint8_t *classes, size_t count, const uint16_t *starts,
                       int32_t *symbols);

/* Codec `mask`: quantize the values at `places`; returns how many of them are NaN or infinite. */
size_t satllm_mask_gather(const float *image, const uint32_t *places, size_t count, const float *mean,
                          const float *inverse_step, float largest, uint8_t *symbols);
/* And back: copy `fill` (elements), then set the values at `places`. */
void satllm_mask_scatter(const uint8_t *symbols, const uint32_t *places, size_t count, const float *mean,
                         const float *step, const float *fill, size_t elements, float *image);

#ifdef __cplusplus
}
#endif

#endif
