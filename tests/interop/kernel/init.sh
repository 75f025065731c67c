#!/bin/busybox sh
# First and only process of the guest: loads dm-cache and runs the script that the first disk holds.
#
# What the script prints goes to the first serial line, the kernel's log to the second.
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox --install -s /bin
# There is no udev: dmsetup makes the device nodes itself.
export PATH=/sbin:/bin LC_ALL=C DM_DISABLE_UDEV=1
exec </dev/null >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 raw -echo
while read -r module; do
  insmod "/lib/modules/$module.ko" || echo "@ broken insmod $module"
done </lib/modules/order
# The kernel finds the disks one after the other; `disks=N` of its command line says how many there are.
disks=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^disks=//p')
tries=0
while [ "$(ls -d /sys/block/vd* 2>/dev/null | wc -l)" -lt "$disks" ] && [ $tries -lt 200 ]; do
  tries=$((tries + 1))
  usleep 50000
done
# Named by serial number, because the letters follow the order in which the disks were found.
mkdir /dev/disk
for disk in /sys/block/vd*; do ln -s "/dev/${disk##*/}" "/dev/disk/$(cat "$disk/serial")"; done
dd if=/dev/disk/script of=/run/script bs=64k 2>/dev/null
sh /run/script
echo "@ end $?"
poweroff -f
