/* A network for $chip: $inputs inputs, $hidden hidden neurons, $outputs outputs.
 *
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
    ${NAME}_INPUTS = $inputs,
    ${NAME}_HIDDEN = $hidden,
    ${NAME}_SYNAPSES = $synapses, /* of a hidden neuron */
    ${NAME}_OUTPUTS = $outputs
};

/* Everything that the network keeps from one step to the next. */
typedef struct {
    /* Synaptic currents and membrane potentials of hidden neurons. */
    int16_t isyn[${NAME}_HIDDEN * ${NAME}_SYNAPSES];
    int16_t vmem[${NAME}_HIDDEN];
    /* The same of output neurons. */
    int16_t isyn_out[${NAME}_OUTPUTS];
    int16_t vmem_out[${NAME}_OUTPUTS];
    /* Spikes of hidden neurons, which arrive in the next step. */
    uint8_t spikes[${NAME}_HIDDEN];
} ${name}_state;

/* Brings the network to rest. */
void ${name}_init(${name}_state *state);

/* Runs a step of $milliseconds ms.
 *
 * events: how many arrived on each input channel; more than $max_in count as $max_in.
 * spikes: how often each output neuron fired, 0 to $max_out.
 */
void ${name}_step(${name}_state *state, const uint8_t events[${NAME}_INPUTS],
    uint8_t spikes[${NAME}_OUTPUTS]);

#ifdef __cplusplus
}
#endif

#endif
