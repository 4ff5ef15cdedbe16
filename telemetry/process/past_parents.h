// Adds parents to past events, which were made before a reader asked for them.
//   const PastParents parents(&sensor.tree(), &sensor.events());
//   writer->Write(parents.Complete(event));
// Knows the instances that the tree had when this was made. Thread-safe.
#pragma once

#include "telemetry/process/process_events.h"

namespace sluice::telemetry {

class PastParents {
 public:
  // Both must outlive it.
  PastParents(const ProcessTree* tree, const ProcessEvents* events)
      : tree_(tree), events_(events), ids_(tree->IdsByStart()) {}

  // With v1::Event.parent, if the event is an exec, an exit or a hook without it, and its process is still known.
  v1::Event Complete(const v1::Event& event) const;

 private:
  const ProcessTree* const tree_;
  const ProcessEvents* const events_;
  const ProcessTree::Starts ids_;
};

}  // namespace sluice::telemetry
