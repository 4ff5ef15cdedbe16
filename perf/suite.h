// A suite of benchmarks, and its report. main.cc knows suites only by this interface.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::perf {

// Instructions counted with a row's samples.
struct Instructions {
  std::vector<double> samples;  // for each packet, one a run; empty: not counted
  double generator = 0;         // the load generator's share of each sample
};

// One measured thing.
struct Row {
  std::string name;
  std::vector<double> samples;       // as measured, one a run
  double generator = 0;              // the load generator's share of each sample; not part of the figures
  std::vector<std::string> against;  // rows of the same report that this one is compared with; floors have none
  std::string unit;                  // of its samples; empty: the report's
  Instructions instructions;
};

struct Report {
  std::string unit;  // of samples
  std::vector<Row> rows;
  std::vector<std::string> left_out;  // peers, sizes and figures that are not here, with the reason
  std::vector<std::string> notes;     // what happened while it was measured
};

struct RunOptions {
  int runs = 5;
  std::vector<std::string> filters;  // measures only rows with one of these in the name, and floors; none: all
  std::set<std::string> rows;        // measures only rows with these names, and floors; none: all
  bool brief = false;                // the smallest sizes: checks results, not speed
  bool quiet_check = false;          // repeats rounds in which the machine was not quiet (perf/quiet_check.h)
  std::string cilium_object;         // file with Cilium's endpoint program; none: that peer is left out
};

struct Suite {
  const char* name;
  const char* description;
  // Names of all rows, as if nothing had to be left out. Measures nothing.
  std::vector<std::string> (*rows)(bool brief);
  // Not called when the filters select no row. An error when something could not be measured or gave a wrong answer.
  StatusOr<Report> (*run)(const RunOptions& options);
};

bool IsSelected(const RunOptions& options, const std::string& name);
bool IsAnySelected(const RunOptions& options, const std::vector<std::string>& names);

std::span<const Suite> Suites();

}  // namespace sluice::perf
