// Resource files as `apply` and `delete` send them.
#pragma once

#include "api/sluice.pb.h"
#include "ctrl/sluice/resource_args.h"

namespace sluice::client {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

// Fills in the files that `args` names, and how to read them. Errors as ReadAll, or a file has characters that no
// document may have.
Status FillDocuments(const ResourceArgs& args, Documents* documents, v1::ReadOptions* read);

}  // namespace sluice::client
