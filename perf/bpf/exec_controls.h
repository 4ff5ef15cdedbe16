/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs of exec.bpf.c do at each exec. */
#ifndef SLUICE_PERF_EXEC_CONTROLS_H
#define SLUICE_PERF_EXEC_CONTROLS_H

#define PERF_EXEC_LINES 4000 /* cache lines that the first one reads */
#define PERF_EXEC_STEPS 2500 /* multiplications of the second; they take about as long */

#endif
