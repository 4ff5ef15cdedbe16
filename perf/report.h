// Figures of a report, and its two formats: a table for people, JSON with every sample.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "perf/machine.h"
#include "perf/suite.h"

namespace sluice::perf {

// Of the samples, without the generator's share.
struct Figures {
  double median = 0;
  double min = 0;
  double max = 0;
};
Figures FiguresOf(const Row& row);
std::optional<Figures> InstructionsOf(const Row& row);              // none: not counted
const Row* FindRow(const Report& report, const std::string& name);  // null: not measured

void PrintMachine(const Machine& machine, std::ostream& out);
void PrintTable(const Suite& suite, const Report& report, std::ostream& out);
nlohmann::json ToJson(const Suite& suite, const Report& report);
nlohmann::json ToJson(const Machine& machine);

}  // namespace sluice::perf
