/* bcryptprimitives.dll for wine releases without it: Rust's standard library imports ProcessPrng. */
typedef unsigned char byte;
__declspec(dllimport) byte __stdcall SystemFunction036(void *, unsigned long);

__declspec(dllexport) int __stdcall ProcessPrng(byte *out, unsigned long long length) {
    while (length > 0) {
        unsigned long now = length < 4096 ? (unsigned long)length : 4096;
        if (!SystemFunction036(out, now))
            return 0;
        out += now;
        length -= now;
    }
    return 1;
}
