// The filter flags of `observe`: one table for the command line, its help, and the conversion to a request. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

struct FilterFlag {
  const char* names;  // as CLI11 takes them: "-n,--namespace"
  const char* help;
  bool takes_list;  // a value may be several, by commas
  Status (*add)(const std::string& value, v1::ObserveRequest::Filter* filter);
};

const std::vector<FilterFlag>& FilterFlags();
// By its long name: "--port". Null: there is none.
const FilterFlag* FindFilterFlag(const std::string& name);
// "--port", for errors.
std::string LongName(const FilterFlag& flag);

}  // namespace sluice::client
