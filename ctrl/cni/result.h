// Results of CNI plugins (prevResult). Pure.
#pragma once

#include <string>
#include <vector>

#include "ctrl/cni/call.h"

namespace sluice::cni {

// `result` as `version` writes it: fields that came later are left out, and `version` of an address is there where it
// was still required. What is not known stays.
Json ConvertResult(Json result, const std::string& version);

// The addresses of the interface `ifname` in the container, without prefix lengths.
std::vector<std::string> AddressesOf(const Json& result, const std::string& ifname);

}  // namespace sluice::cni
