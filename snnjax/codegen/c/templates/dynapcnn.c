/* Written by snnjax $version for $chip. See the header for how to call it. */
#include "$name.h"

/* The nearest number from `low` to `high`. */
static int32_t clip(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

$unpack/* ---- Weights: what an event does to the neurons that it reaches ---- */

$feeds
/* ---- Neurons: what fires, and whom it feeds ---- */

$neurons
@if sensor
/* ---- The sensor's layer ---- */

static void sense(${name}_state *state, int32_t channel, int32_t y, int32_t x, int32_t count)
{
@if killed
    if ($killed)
        return;
@end
@if one_polarity
    if (channel != $polarity)
        return;
@end
@if merge
    channel = 0;
@end
    y = y / $pool_y - $top;
    x = x / $pool_x - $left;
    if (y < 0 || y >= $cut_height || x < 0 || x >= $cut_width)
        return;
@if mirror_y
    y = $cut_height - 1 - y;
@end
@if mirror_x
    x = $cut_width - 1 - x;
@end
$feed_sensed}

@end
/* ---- The network ---- */

void ${name}_init(${name}_state *state)
{
    *state = (${name}_state){0};
$start}

int ${name}_step(${name}_state *state, const ${name}_event *events, uint32_t n_events,
    uint32_t spikes[${NAME}_OUTPUTS])
{
    uint32_t i;

$rooms    state->overflow = 0;
    for (i = 0; i < n_events; i++) {
        const ${name}_event *const e = &events[i];
$feed    }
$runs    return state->overflow;
}
