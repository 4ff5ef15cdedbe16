// The cost of an event, from the kernel to a reader: of a hook policy, and of the process sensors for the same program
// starts. And how many events of a policy one reader takes in a second.
#pragma once

#include <string>
#include <vector>

#include "perf/exec/spawner.h"
#include "perf/hooks/world.h"
#include "perf/rows.h"

namespace sluice::perf {

struct EventSizes {
  int rounds;
  int starts;  // of programs, in a sample
  int reads;   // of events that wait in a ring, in a sample
  int floods;
  int calls;  // of a flood
};

std::vector<std::string> EventRows();
std::vector<std::string> FloodRows();

// Needs two CPUs, as readers must not be on the measured one.
Status MeasureEventCost(const EventSizes& sizes, const Spawner& spawner, HookWorld* world, Rows* rows);
Status MeasureEventFlood(const EventSizes& sizes, HookWorld* world, Rows* rows);

}  // namespace sluice::perf
