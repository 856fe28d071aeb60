/* Written by snnjax $version. See the header for how to call it. */
#include "${name}_front_end.h"

$tables
/* x / 2^bits, rounded down. */
static int64_t shift_down(int64_t x, int bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}

/* The next value of a filter's recursion. */
static int32_t next(uint32_t i, int16_t sample, const int32_t *w)
{
    const int64_t sum = -(int64_t)$a1 * w[0] - (int64_t)$a2 * w[1];
    const int64_t driven = (int64_t)sample * ((int32_t)1 << $w_shift);

    return (int32_t)shift_down(driven + shift_down(sum, $a_shift), $b_shift);
}

@if normalised
/* The threshold of a channel by its running mean, which takes in the size of an output. */
static int64_t next_threshold(uint32_t i, int64_t *high, int64_t size)
{
    const int64_t low = *high >> $k;
    const int64_t level = low > $eps ? low : $eps;
@if unused
    (void)i; /* all channels are alike */
@end

    *high += size - low;
    return level * ((int64_t)1 << $b1) - level * ((int64_t)1 << $b2);
}

@end
void ${name}_front_end_init(${name}_front_end *state)
{
    *state = (${name}_front_end){0};
}

int ${name}_front_end_step(${name}_front_end *state, int16_t sample,
    uint8_t events[${NAME}_CHANNELS])
{
    /* A neuron that hardly ever fires gains charge for days until it gets here. */
    const int64_t full = (int64_t)1 << 61;
    int64_t size[${NAME}_CHANNELS];
@if normalised
    int64_t thresholds[${NAME}_CHANNELS];
@end
@if joint
    int64_t largest = 0;
@end
    uint32_t i;

    if (sample < -8191 || sample > 8191)
        return -1;
    for (i = 0; i < ${NAME}_CHANNELS; i++) {
        int32_t *const w = state->w[i];
        const int32_t newest = next(i, sample, w), output = w[0] - w[2];

        size[i] = output < 0 ? -output : output;
        w[2] = w[1];
        w[1] = w[0];
        w[0] = newest;
@if normalised
        thresholds[i] = next_threshold(i, &state->high[i], size[i]);
@end
@if joint
        largest = thresholds[i] > largest ? thresholds[i] : largest;
@end
    }
    for (i = 0; i < ${NAME}_CHANNELS; i++) {
        const int64_t at = $at;

        state->charge[i] += size[i];
        if (state->charge[i] >= at) {
            state->charge[i] -= at;
            if (state->counts[i] < $most)
                state->counts[i]++;
        }
        if (state->charge[i] > full)
            state->charge[i] = full;
    }
    if (++state->clock < ${NAME}_WINDOW)
        return 0;
    state->clock = 0;
    for (i = 0; i < ${NAME}_CHANNELS; i++) {
        events[i] = state->counts[i];
        state->counts[i] = 0;
    }
    return 1;
}
