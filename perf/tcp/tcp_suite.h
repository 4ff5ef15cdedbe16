// The suite `tcp`: two pods of one node, connected by Sluice and by its peers.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> TcpRows(bool brief);

// Runs in network namespaces that it makes and deletes.
StatusOr<Report> RunTcpSuite(const RunOptions& options);

}  // namespace sluice::perf
