// What `apply` and `delete` print. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::client {

using ResourceChanges = google::protobuf::RepeatedPtrField<v1::ResourceChange>;

// "NetworkPolicy shop/db created", one line a resource, with a note if another document hides it or takes its place;
// then "policy revision 7". A dry run is marked as one.
std::string ChangesText(const ResourceChanges& changes, std::uint64_t revision, bool dry_run = false);

}  // namespace sluice::client
