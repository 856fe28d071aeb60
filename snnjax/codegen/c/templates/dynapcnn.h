/* A network for $chip: events of $channels channels of $height by $width in, $outputs neurons out.
 *
$layers *
 * Written by snnjax $version. Whole numbers of the chip, step by step, in C99: without a library,
 * without allocation, without floating point.
 *
 * $footprint
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ${NAME}_CHANNELS = $channels, /* of the input map */
    ${NAME}_HEIGHT = $height,
    ${NAME}_WIDTH = $width,
    ${NAME}_OUTPUTS = $outputs, /* neurons of the last layer, in the order of row, column, channel */
    ${NAME}_CLASS_STRIDE = $stride /* class i is channel i * ${NAME}_CLASS_STRIDE */
};

/* Events of one place of the input map. */
typedef struct {
    uint16_t channel, y, x, count;
} ${name}_event;

/* Everything that the network keeps from one step to the next: membrane potentials in the order of
 * row, column, channel; and how many events each layer can yet take in this step. */
typedef struct {
$state} ${name}_state;

/* Brings the network to its beginning. */
void ${name}_init(${name}_state *state);

/* Runs a synchronous step.
 *
 * events: those of this step, in any order, each within the input map.
 * spikes: how often each neuron of the last layer fired.
 *
 * Returns 0. Sums are exact as long as no layer gets more events in a step than 32 bits are sure to
 * hold, at least $least_room; otherwise it returns 1, and the state and the spikes are void.
 */
int ${name}_step(${name}_state *state, const ${name}_event *events, uint32_t n_events,
    uint32_t spikes[${NAME}_OUTPUTS]);

#ifdef __cplusplus
}
#endif

#endif
