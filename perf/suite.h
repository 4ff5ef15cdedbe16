// A suite of benchmarks, and what it reports. main.cc knows suites only by this.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::perf {

// What the machine counted beside a row's samples.
struct Instructions {
  std::vector<double> samples;  // a packet, one a run; none where it does not count
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
};

struct RunOptions {
  int runs = 5;
  std::vector<std::string> filters;  // measures only what has one of these in its name, and floors; none: all
  bool brief = false;                // the smallest sizes: whether it runs and is right, not how fast
  std::string cilium_object;         // file with Cilium's endpoint program; none: that peer is left out
};

struct Suite {
  const char* name;
  const char* description;
  // The names of all rows that there are where nothing has to be left out, without measuring.
  std::vector<std::string> (*rows)(bool brief);
  // Not called when the filters select no row. An error when anything could not be measured or gave a wrong answer.
  StatusOr<Report> (*run)(const RunOptions& options);
};

bool IsSelected(const RunOptions& options, const std::string& name);
bool IsAnySelected(const RunOptions& options, const std::vector<std::string>& names);

std::span<const Suite> Suites();

}  // namespace sluice::perf
