// An explanation for people. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

// First line: "allowed" or "denied". Then the flow, the reason in a sentence, and for each end its verdict, what it
// rests on, and which rules come nearest to allowing what is denied.
std::string ExplanationText(const v1::Explanation& explanation);

}  // namespace sluice::client
