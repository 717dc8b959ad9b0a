// Where the crop of a detected face lies, for the kernels that read and write there; see place.py.
//
// Doubles, so that the numbers are those that the processor finds.

struct Map {
    double xx, xy, x1, yx, yy, y1;
};

__device__ Map inverse(const Map& map) {
    double area = map.xx * map.yy - map.xy * map.yx;
    Map back = {map.yy / area, -map.xy / area, 0.0, -map.yx / area, map.xx / area, 0.0};
    back.x1 = -back.xx * map.x1 - back.xy * map.y1;
    back.y1 = -back.yx * map.x1 - back.yy * map.y1;
    return back;
}

__device__ int halvings(double reach_px, int most) {
    return min(max(static_cast<int>(rint(log2(max(reach_px, 1.0)))), 0), most);
}

// Leads to blocks of 2^shift pixels of where the map leads to.
__device__ Map to_blocks(const Map& map, int shift) {
    double size = 1 << shift, middle = (size - 1.0) / (2.0 * size);
    return {map.xx / size, map.xy / size, map.x1 / size - middle,
            map.yx / size, map.yy / size, map.y1 / size - middle};
}

__device__ void write(const Map& map, int shift, float* place) {
    double values[6] = {map.xx, map.xy, map.x1, map.yx, map.yy, map.y1};
    for (int n = 0; n < 6; n++) place[n] = static_cast<float>(values[n]);
    place[6] = static_cast<float>(shift);
}

// Where a crop is read in the picture.
__device__ void write_crop(const Map& crop_from_image, int most, float* place) {
    Map back = inverse(crop_from_image);
    int shift = halvings(sqrt(fabs(back.xx * back.yy - back.xy * back.yx)), most);
    write(to_blocks(back, shift), shift, place);
}

// Where a square crop is laid over the picture.
__device__ void write_paste(const Map& crop_from_image, int side, int most, int width, int height,
                            float* place) {
    Map map = crop_from_image;
    int shift = halvings(sqrt(fabs(map.xx * map.yy - map.xy * map.yx)), most);
    Map blocks = to_blocks(map, shift), back = inverse(blocks);
    double low[2] = {1e30, 1e30}, high[2] = {-1e30, -1e30};
    for (int corner = 0; corner < 4; corner++) {
        double x = (corner & 1) ? side >> shift : -1, y = (corner >> 1) ? side >> shift : -1;
        double at[2] = {x * back.xx + y * back.xy + back.x1, x * back.yx + y * back.yy + back.y1};
        for (int axis = 0; axis < 2; axis++) {
            low[axis] = min(low[axis], at[axis]);
            high[axis] = max(high[axis], at[axis]);
        }
    }
    int limit[2] = {width, height}, first[2], last[2];
    for (int axis = 0; axis < 2; axis++) {
        double most_px = limit[axis];
        first[axis] = static_cast<int>(min(max(ceil(low[axis]), 0.0), most_px));
        last[axis] = static_cast<int>(min(max(floor(high[axis]) + 1.0, 0.0), most_px));
    }
    blocks.x1 += blocks.xx * first[0] + blocks.xy * first[1];
    blocks.y1 += blocks.yx * first[0] + blocks.yy * first[1];
    write(blocks, shift, place);
    for (int axis = 0; axis < 2; axis++) {
        place[7 + axis] = static_cast<float>(first[axis]);
        place[9 + axis] = static_cast<float>(max(last[axis] - first[axis], 0));
    }
}

// A single thread: a similarity with the least squared error, or a crop that nothing is laid from.
extern "C" __global__ void place_face(
    const float* __restrict__ found, float per_px, const float* __restrict__ wanted,
    float times, int drawn_px, int width, int height, int most_of_picture, int most_of_crop,
    float* __restrict__ crop, float* __restrict__ under, float* __restrict__ paste) {
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    double point[10], middle[4] = {0.0, 0.0, 0.0, 0.0};
    for (int n = 0; n < 10; n++) {
        point[n] = static_cast<double>(found[5 + n]) * per_px - 0.5;
        middle[n & 1] += point[n] / 5.0;
        middle[2 + (n & 1)] += static_cast<double>(wanted[n]) / 5.0;
    }
    double power = 0.0, real = 0.0, imaginary = 0.0;
    for (int n = 0; n < 10; n += 2) {
        double x = point[n] - middle[0], y = point[n + 1] - middle[1];
        double goal_x = wanted[n] - middle[2], goal_y = wanted[n + 1] - middle[3];
        power += x * x + y * y;
        real += x * goal_x + y * goal_y;
        imaginary += x * goal_y - y * goal_x;
    }
    real /= power;
    imaginary /= power;
    // What is no number fails here, too.
    bool is_found = found[0] > 0.0f && power > 1e-6 && real * real + imaginary * imaginary > 1e-12;
    if (!is_found) {
        real = 1.0;
        imaginary = middle[0] = middle[1] = middle[2] = middle[3] = 0.0;
    }
    Map map = {real, -imaginary, middle[2] - real * middle[0] + imaginary * middle[1],
               imaginary, real, middle[3] - imaginary * middle[0] - real * middle[1]};
    write_crop(map, most_of_picture, crop);
    double large = times, shift_px = (large - 1.0) / 2.0;
    Map drawn = {large * map.xx, large * map.xy, large * map.x1 + shift_px,
                 large * map.yx, large * map.yy, large * map.y1 + shift_px};
    write_crop(drawn, most_of_picture, under);
    write_paste(drawn, drawn_px, most_of_crop, width, height, paste);
    if (!is_found) paste[9] = paste[10] = 0.0f;
}
