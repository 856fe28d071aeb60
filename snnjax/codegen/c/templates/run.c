$tables/* Fires the neurons of $layer$what_follows. */
static void run_$layer(${name}_state *state$spikes_parameter)
{
    int32_t *vmem = state->$layer;
    int32_t y, x, channel;

    for (y = 0; y < $height; y++)
        for (x = 0; x < $width; x++)
            for (channel = 0; channel < $out; channel++, vmem++) {
                int32_t count = 0;

@if biased
                *vmem += $bias;
@end
                if (*vmem >= $threshold) {
@if single
                    count = 1;
@else
                    count = *vmem / $threshold;
@if capped
                    if (count > $max_spikes)
                        count = $max_spikes;
@end
@end
@if to_zero
                    *vmem = 0;
@else
                    *vmem -= count * $threshold;
@end
                }
                *vmem = clip(*vmem, $lowest, $high);
$send            }
}
