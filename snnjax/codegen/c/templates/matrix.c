$about$tables
/* Adds the weights of a row, times `count`, to their targets. */
static void add_$name($target_type *target, uint32_t row, $count_type count)
{
@if dense
    uint32_t k = row * ${columns}u;
    const uint32_t end = k + ${columns}u;
@else
    uint32_t k = $start;
    const uint32_t end = $end;
@end

@if runs
    target += $first;
@end
    for (; k < end; k++) {
        $target_type *const one = target$target;
        *one = $sum;
    }
}
