/* The front end of Xylo Audio 3 for $name.h: from samples of sound to events of $channels channels.
 *
 * Written by snnjax $version. Whole numbers of the chip, sample by sample, in C99: without a
 * library, without allocation, without floating point.
 *
 * $footprint
 */
#ifndef ${NAME}_FRONT_END_H
#define ${NAME}_FRONT_END_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ${NAME}_CHANNELS = $channels,
    ${NAME}_WINDOW = $window /* samples for a step of the network */
};

/* Everything that the front end keeps from one sample to the next. */
typedef struct {
@if normalised
    /* Running mean of the size of each filter's output, times a power of 2. */
    int64_t high[${NAME}_CHANNELS];
@end
    /* Charge of each channel's integrate-and-fire neuron. */
    int64_t charge[${NAME}_CHANNELS];
    /* The last three values of each filter's recursion, the newest first. */
    int32_t w[${NAME}_CHANNELS][3];
    /* Samples of the open window, and its events so far. */
    uint32_t clock;
    uint8_t counts[${NAME}_CHANNELS];
} ${name}_front_end;

/* Brings the front end to rest. */
void ${name}_front_end_init(${name}_front_end *state);

/* Takes a sample of 14 bits, -8191 to 8191, of 48,828.125 in a second.
 *
 * Returns 1 where a window of $milliseconds ms ends, and writes its events, 0 to $most of a channel,
 * for a step of the network; 0 within a window; -1 for a sample out of range, which is left out.
 */
int ${name}_front_end_step(${name}_front_end *state, int16_t sample,
    uint8_t events[${NAME}_CHANNELS]);

#ifdef __cplusplus
}
#endif

#endif
