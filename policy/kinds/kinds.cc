#include "policy/kinds/kinds.h"

#include "policy/lsm/parser.h"
#include "policy/response/parser.h"

namespace sluice::policy {

std::vector<KindParser> MoreKinds(tracing::Reading reading) {
  std::vector<KindParser> all = tracing::KindParsers(reading);
  for (const KindParser& parser : lsm::KindParsers()) all.push_back(parser);
  for (const KindParser& parser : response::KindParsers()) all.push_back(parser);
  return all;
}

}  // namespace sluice::policy
