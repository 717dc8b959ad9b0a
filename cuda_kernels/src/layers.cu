// One picture over another, as far as a mask says; see layers.py. Whole numbers throughout.

// A thread for each pixel; any of the inputs may be written.
extern "C" __global__ void lay_over(const unsigned char* front, const unsigned char* back,
                                    const unsigned char* __restrict__ weight, int num,
                                    unsigned char* out) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= num) return;
    int share = weight[index];
    for (int c = 0; c < 3; c++) {
        int place = 3 * index + c;
        int sum = share * front[place] + (255 - share) * back[place];
        out[place] = static_cast<unsigned char>((2 * sum + 255) / 510);
    }
}
