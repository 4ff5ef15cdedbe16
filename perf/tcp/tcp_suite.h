// The suite `tcp`: two pods of one node, the way between them by Sluice and by its peers.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> TcpRows(bool brief);

// In network namespaces that it makes and deletes.
StatusOr<Report> RunTcpSuite(const RunOptions& options);

}  // namespace sluice::perf
