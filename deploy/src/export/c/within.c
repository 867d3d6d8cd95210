static float within(float x, float low, float high)
{
    if (x < low) {
        x = low;
    }
    if (x > high) {
        x = high;
    }
    return x;
}
