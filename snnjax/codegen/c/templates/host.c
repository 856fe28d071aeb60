/* Runs rasters on the network of $name.h and prints the spikes, on a little-endian PC.
 *
 *     cc -O2 $name.c ${name}_host.c -o $name
 *     ./$name raster.npy
 *
 * The raster holds numbers of events, (time, $shape) or (recordings, time, $shape), as numpy.save
 * writes them, of any integer, boolean or floating type. A line is printed for each step, and an
 * empty line after each recording.
 */
#include "$name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = $places, MOST = $most };

typedef struct {
    FILE *file;
    char kind;          /* b, u, i or f, as in the header */
    int size;           /* bytes of a number */
    unsigned long recordings, steps;
} raster;

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

/* Reads the sizes of an array from the text that follows "shape" in the header. */
static int read_shape(const char *text, unsigned long *shape)
{
    int n = 0;

    while (n < 6 && text[strspn(text, " ,(")] >= '0' && text[strspn(text, " ,(")] <= '9') {
        char *end;
        shape[n++] = strtoul(text + strspn(text, " ,("), &end, 10);
        text = end;
    }
    return n;
}

/* Opens a file and checks that it is a raster for the network. */
static raster open_raster(const char *path)
{
    static const unsigned long places[] = {$sizes};
    enum { AXES = sizeof places / sizeof *places };
    static char header[4096];
    unsigned char start[12] = {0};
    unsigned long shape[6] = {0}, length;
    const char *type, *order, *sizes;
    raster found = {fopen(path, "rb"), 0, 0, 1, 0};
    int axes;

    if (found.file == NULL)
        fail(path, "cannot be opened");
    if (fread(start, 1, 10, found.file) < 10 || memcmp(start, "\x93NUMPY", 6) != 0)
        fail(path, "is no file of numpy.save");
    if (start[6] > 1 && fread(start + 10, 1, 2, found.file) < 2)
        fail(path, "ends within its header");
    length = start[8] | (unsigned long)start[9] << 8 | (unsigned long)start[10] << 16
        | (unsigned long)start[11] << 24;
    if (length >= sizeof header || fread(header, 1, length, found.file) < length)
        fail(path, "has a header that is too long, or ends within it");
    type = strstr(header, "'descr': '");
    order = strstr(header, "'fortran_order': False");
    sizes = strstr(header, "'shape': (");
    if (type == NULL || order == NULL || sizes == NULL)
        fail(path, "must hold numbers in the order of C");
    found.kind = type[11];
    found.size = atoi(type + 12);
    if (type[10] == '>' || strchr("buif", found.kind) == NULL || found.size > 8)
        fail(path, "must hold little-endian integers, booleans or floats");
    axes = read_shape(sizes + 10, shape);
    if ((axes != AXES + 1 && axes != AXES + 2)
        || memcmp(shape + axes - AXES, places, sizeof places) != 0)
        fail(path, "must have the shape (time, $shape) or (recordings, time, $shape)");
    found.steps = shape[axes - AXES - 1];
    if (axes == AXES + 2)
        found.recordings = shape[0];
    return found;
}

/* Reads the next number. */
static uint16_t read_count(raster *from, const char *path)
{
    unsigned char bytes[8] = {0};
    double number;
    float single;
    int64_t whole;

    if (fread(bytes, 1, (size_t)from->size, from->file) < (size_t)from->size)
        fail(path, "ends before its last step");
    if (from->kind == 'i' && bytes[from->size - 1] > 127)
        fail(path, "holds a negative number of events");
    memcpy(&whole, bytes, sizeof whole);
    memcpy(&single, bytes, sizeof single);
    memcpy(&number, bytes, sizeof number);
    if (from->kind == 'f') {
        number = from->size == 4 ? single : number;
        if (!(number >= 0 && number < 1e18 && number == (double)(int64_t)number))
            fail(path, "holds a number of events that is negative or not whole");
        whole = (int64_t)number;
    }
@if dynapcnn
    if (whole < 0 || whole > MOST)
        fail(path, "holds more than $most events of a place in a step");
    return (uint16_t)whole;
@else
    return (uint16_t)(whole < 0 || whole > MOST ? MOST : whole);
@end
}

static void run_step(${name}_state *state, raster *from, const char *path)
{
@if dynapcnn
    static ${name}_event events[PLACES];
    uint32_t spikes[${NAME}_OUTPUTS];
    uint32_t n = 0, place;

    for (place = 0; place < PLACES; place++) {
        const uint16_t count = read_count(from, path);
        const uint32_t row = place / $width;
        if (count > 0)
            events[n++] = (${name}_event){
                (uint16_t)(row / $height), (uint16_t)(row % $height), (uint16_t)(place % $width), count};
    }
    ${name}_step(state, events, n, spikes);
    for (place = 0; place < ${NAME}_OUTPUTS; place++)
        printf("%lu%c", (unsigned long)spikes[place], place + 1 < ${NAME}_OUTPUTS ? ' ' : '\n');
@else
    uint8_t events[PLACES], spikes[${NAME}_OUTPUTS];
    int i;

    for (i = 0; i < PLACES; i++)
        events[i] = (uint8_t)read_count(from, path);
    ${name}_step(state, events, spikes);
    for (i = 0; i < ${NAME}_OUTPUTS; i++)
        printf("%d%c", spikes[i], i + 1 < ${NAME}_OUTPUTS ? ' ' : '\n');
@end
}

int main(int arguments, char **argument)
{
    static ${name}_state state;
    raster from;
    unsigned long recording, step;

    if (arguments != 2) {
        fprintf(stderr, "usage: %s raster.npy\n", argument[0]);
        return 2;
    }
    from = open_raster(argument[1]);
    for (recording = 0; recording < from.recordings; recording++) {
        ${name}_init(&state);
        for (step = 0; step < from.steps; step++)
            run_step(&state, &from, argument[1]);
        putchar('\n');
    }
    if (fflush(stdout) != 0) {
        perror("output");
        return 1;
    }
    return 0;
}
