@if packed4
/* Weight k of a table of bytes, each with two of 4 bits. */
static int32_t weight4(const uint8_t *table, uint32_t k)
{
    const int32_t code = (table[k / 2] >> (k % 2 * 4)) & 15;
    return (code ^ 8) - 8;
}

@end
@if packed2
/* Weight k of a table of bytes, each with four of 2 bits. */
static int32_t weight2(const uint8_t *table, uint32_t k)
{
    const int32_t code = (table[k / 4] >> (k % 4 * 2)) & 3;
    return (code ^ 2) - 2;
}

@end
