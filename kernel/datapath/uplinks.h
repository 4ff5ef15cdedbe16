// The cards where xdp/uplink is attached, of which the programs know the MAC too. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "kernel/datapath/attachments.h"
#include "kernel/datapath/settings.h"

namespace sluice::datapath {

enum class XdpMode { kNative, kGeneric };

class Uplinks {
 public:
  // Both outlive this.
  Uplinks(Attachments* attachments, Settings* settings) : attachments_(attachments), settings_(settings) {}

  // Attaching what is attached already is fine. NotFound: there is no such interface.
  StatusOr<XdpMode> Attach(const std::string& interface);
  // Releases those that are not, or not any more, one of `interfaces`: another name, or a card that went away, also if
  // one of its name has come since.
  Status ReleaseOthers(const std::vector<std::string>& interfaces);

 private:
  Attachments* const attachments_;
  Settings* const settings_;
};

}  // namespace sluice::datapath
