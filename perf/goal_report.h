// Compares goals with a run's figures, as text and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "perf/goals.h"
#include "perf/suite.h"

namespace sluice::perf {

using Reports = std::vector<std::pair<std::string, Report>>;  // by suite, in the order of the run

// Prints these goals with their figures, and met or missed with the reason; a goal whose rows are missing is "not
// measured".
void PrintGoals(std::span<const Goal> goals, const Reports& reports, std::ostream& out);
nlohmann::json GoalsToJson(std::span<const Goal> goals, const Reports& reports);

}  // namespace sluice::perf
