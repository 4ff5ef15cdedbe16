/* What the suite `exec` starts: the shortest life that a program can have. */
int main(void) { return 0; }
