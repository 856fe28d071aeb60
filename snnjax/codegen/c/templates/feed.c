$matrix/* Takes `count` events at a place of its input map of $in by $map_height by $map_width. */
static void feed_$layer(${name}_state *state, int32_t channel, int32_t y, int32_t x, int32_t count)
{
@if convolution
    int32_t ky, kx;

@end
    if (count > state->${layer}_room) {
        state->overflow = 1;
        return;
    }
    state->${layer}_room -= count;
@if empty
    (void)channel, (void)y, (void)x; /* all weights are 0 */
@else
@if convolution
    for (ky = 0; ky < $kernel_y; ky++) {
@if strided
        const int32_t above = $from_y - ky, row = above / $stride_y;
        if (above < 0 || row * $stride_y != above || row >= $height)
            continue;
@else
        const int32_t row = $from_y - ky;
        if (row < 0 || row >= $height)
            continue;
@end
        for (kx = 0; kx < $kernel_x; kx++) {
@if strided
            const int32_t before = $from_x - kx, column = before / $stride_x;
            if (before < 0 || column * $stride_x != before || column >= $width)
                continue;
@else
            const int32_t column = $from_x - kx;
            if (column < 0 || column >= $width)
                continue;
@end
            add_${layer}_weight(&state->$layer[(row * $width + column) * $out],
                (uint32_t)((channel * $kernel_y + ky) * $kernel_x + kx), count);
        }
    }
@else
    add_${layer}_weight(state->$layer,
        (uint32_t)((channel * $map_height + y) * $map_width + x), count);
@end
@end
}
