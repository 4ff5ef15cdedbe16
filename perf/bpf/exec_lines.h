/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How many cache lines the program of exec.bpf.c reads. */
#ifndef SLUICE_PERF_EXEC_LINES_H
#define SLUICE_PERF_EXEC_LINES_H

#define PERF_EXEC_LINES 4000

#endif
