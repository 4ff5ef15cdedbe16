// The uplinks: attaches xdp/uplink, and tells the programs the MAC of each. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "kernel/datapath/attachments.h"
#include "kernel/datapath/settings.h"

namespace sluice::datapath {

enum class XdpMode { kNative, kGeneric };

class Uplinks {
 public:
  // Both must outlive this.
  Uplinks(Attachments* attachments, Settings* settings) : attachments_(attachments), settings_(settings) {}

  // OK if it is attached already. NotFound: there is no such interface.
  StatusOr<XdpMode> Attach(const std::string& interface);
  // Detaches from all cards that are not among `interfaces` now: other names, and cards that are gone, even if a new
  // one has the name.
  Status ReleaseOthers(const std::vector<std::string>& interfaces);

 private:
  Attachments* const attachments_;
  Settings* const settings_;
};

}  // namespace sluice::datapath
