/* What the suite `exec` starts beside /bin/true: the shortest instance that a program can have. */
int main(void) { return 0; }
