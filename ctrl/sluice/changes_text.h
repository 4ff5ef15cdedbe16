// What `apply` and `delete` say. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

using ResourceChanges = google::protobuf::RepeatedPtrField<v1::ResourceChange>;

// "NetworkPolicy shop/db created", one line a resource, with what is in force instead where that is another document;
// and then "policy revision 7". Of a dry run it is said that it was one.
std::string ChangesText(const ResourceChanges& changes, std::uint64_t revision, bool dry_run = false);

}  // namespace sluice::client
