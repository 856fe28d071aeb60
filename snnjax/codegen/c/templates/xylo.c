/* Written by snnjax $version for $chip. See the header for how to call it. */
#include "$name.h"

/* ---- Arithmetic of the chip ---- */

/* The nearest number of $state_bits bits. */
static int16_t saturate(int32_t x)
{
    if (x > $state_max)
        return $state_max;
    if (x < -$state_max - 1)
        return -$state_max - 1;
    return (int16_t)x;
}

@if wraps
/* The lowest $state_bits bits of a number. */
static int32_t wrap(int32_t x)
{
    const uint32_t sign = (uint32_t)1 << ($state_bits - 1);
    return (int32_t)((((uint32_t)x & (2u * sign - 1u)) ^ sign)) - (int32_t)sign;
}

@end
/* Leak of a state in a step: x >> dash, rounded down, but at least 1 where x is above 0. */
static int32_t leak(int32_t x, int dash)
{
    const int32_t part = x < 0 ? ~(~x >> dash) : x >> dash;
    return part == 0 && x > 0 ? 1 : part;
}

/* The membrane potential after its leak, the currents and the bias. */
static int16_t charge(int16_t vmem, int dash, int32_t current$bias_parameter)
{
@if core1
    return saturate(vmem - leak(vmem, dash) + current);
@else
    const int32_t leaks = leak(vmem, dash);
    /* A leak of the lowest number has no opposite, and stays what it is. */
    int32_t change = saturate(current - (leaks < -$state_max ? -leaks : leaks));

@if biased
    change = saturate(change + bias);
@end
    return saturate(vmem + change);
@end
}

/* Fires while the potential reaches the threshold and less than `most` spikes are out. */
static uint8_t fire(int16_t *vmem, int32_t threshold, uint8_t spikes, uint8_t most)
{
    while (*vmem >= threshold && spikes < most) {
        *vmem = (int16_t)(*vmem - threshold);
        spikes++;
    }
    return spikes;
}

$unpack/* ---- Weights ---- */

$matrices
/* ---- Neurons ---- */

$tables
/* ---- The network ---- */

void ${name}_init(${name}_state *state)
{
    *state = (${name}_state){0};
}

void ${name}_step(${name}_state *state, const uint8_t events[${NAME}_INPUTS],
    uint8_t spikes[${NAME}_OUTPUTS])
{
    uint32_t i;

    /* Currents, source by source, since they saturate on the way. */
@if w_in
    for (i = 0; i < ${NAME}_INPUTS; i++)
        if (events[i] > 0)
            add_w_in(state->isyn, i, events[i] < $max_in ? events[i] : $max_in);
@else
    (void)events; /* no input has a weight */
@end
@if from_hidden
    for (i = 0; i < ${NAME}_HIDDEN; i++)
        if (state->spikes[i] > 0) {
@if w_rec
            add_w_rec(state->isyn, i, state->spikes[i]);
@end
@if w_out
            add_w_out(state->isyn_out, i, state->spikes[i]);
@end
        }
@end

    /* Hidden neurons. */
@if has_aliases
    for (i = 0; i < ${NAME}_HIDDEN; i++)
        state->spikes[i] = 0;
@end
    for (i = 0; i < ${NAME}_HIDDEN; i++) {
@if several_synapses
        int16_t *const isyn = &state->isyn[i * ${NAME}_SYNAPSES];
        int32_t current = 0;
        uint32_t s;

        for (s = 0; s < ${NAME}_SYNAPSES; s++) {
            isyn[s] = (int16_t)(isyn[s] - leak(isyn[s], $dash_syn));
            current += isyn[s];
        }
        state->vmem[i] = charge(state->vmem[i], $dash_mem, current$bias);
@else
        int16_t *const isyn = &state->isyn[i];

        *isyn = (int16_t)(*isyn - leak(*isyn, $dash_syn));
        state->vmem[i] = charge(state->vmem[i], $dash_mem, *isyn$bias);
@end
@if has_aliases
        /* It repeats the spikes that it was handed in this step, and hands all on to its alias. */
        state->spikes[i] = fire(&state->vmem[i], $threshold, state->spikes[i], $max_hidden);
        if ($aliases >= 0) {
            uint8_t *const handed = &state->spikes[$aliases];
            const int32_t sum = *handed + state->spikes[i];
            *handed = (uint8_t)(sum < $max_hidden ? sum : $max_hidden);
        }
@else
        state->spikes[i] = fire(&state->vmem[i], $threshold, 0, $max_hidden);
@end
    }

    /* Output neurons. */
    for (i = 0; i < ${NAME}_OUTPUTS; i++) {
        int16_t *const isyn = &state->isyn_out[i];

        *isyn = (int16_t)(*isyn - leak(*isyn, $dash_syn_out));
        state->vmem_out[i] = charge(state->vmem_out[i], $dash_mem_out, *isyn$bias_out);
        spikes[i] = fire(&state->vmem_out[i], $threshold_out, 0, $max_out);
    }
}
