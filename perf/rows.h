// Rows that grow by one sample at a time, in the order of first use.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

class Rows {
 public:
  void Add(const std::string& name, const std::string& unit, double sample, std::vector<std::string> against = {});
  // Returns rows that the options select, rows that these are compared with, and floors.
  std::vector<Row> Take(const RunOptions& options) &&;

 private:
  std::vector<Row> rows_;
};

}  // namespace sluice::perf
