// An explanation for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

// First line: "allowed" or "denied". Then the flow, and for each end its verdict and what it rests on.
std::string ExplanationText(const v1::Explanation& explanation);

}  // namespace sluice::client
