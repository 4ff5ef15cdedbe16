// Goals beside what a run reached, as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "perf/suite.h"

namespace sluice::perf {

using Reports = std::vector<std::pair<std::string, Report>>;  // by suite, in the order of the run

// Every goal with its figure, met, or missed and why; goals whose rows the run has not are said to be not measured.
void PrintGoals(const Reports& reports, std::ostream& out);
nlohmann::json GoalsToJson(const Reports& reports);

}  // namespace sluice::perf
