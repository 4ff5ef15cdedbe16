#include "ctrl/reconcile/node_view.h"

namespace sluice::reconcile {

datapath::PodInterface ClosedInterface(const node::HostEnd& end) {
  datapath::PodInterface pod{end.ifindex, end.name, {}, false};
  pod.facts.netns = -1;  // not known
  return pod;
}

}  // namespace sluice::reconcile
