# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# One run of the machine: its files in $run_dir, the QEMU process, and their end.

# The -initrd of QEMU's multiboot loader names Xen's modules. XSAVE and SMAP are off because QEMU
# 7.2 emulates them wrongly for PV guests: processes crash at random, or all at once.
qemu_cpu=max,-smap,-xsave,-avx,-avx2,-rdtscp
xen_options='console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning bootscrub=no'
# Memory is not zeroed and the bounce buffer is half as large, for speed.
dom0_options='console=hvc0 quiet panic=1 init_on_alloc=0 swiotlb=16384'

# What Xen and guests get on top of dom0's memory.
guests_mb=512

disk_options=()

# libxl runs it from this path, too, and ends it when it finds no keymaps.
qdisk_program=/usr/libexec/xen-qemu-system-i386

# add_disk INDEX IMAGE MODE: one NVMe namespace per image, of one controller.
add_disk() {
    local read_only=off

    [[ $3 == w ]] || read_only=on
    ((${#disk_options[@]})) || disk_options=(-device "nvme,id=nvme0,serial=xenlab")
    disk_options+=(
        -blockdev "driver=raw,node-name=disk$1,read-only=$read_only,discard=unmap,file.driver=file,file.filename=${2//,/,,}"
        -device "nvme-ns,bus=nvme0,drive=disk$1,nsid=$(($1 + 1))"
    )
}

# The vbd number of a disk: major 202 and 16 minors each for 16 disks, then the extended scheme.
vbd_number() {
    if (($1 < 16)); then
        echo $((202 << 8 | $1 << 4))
    else
        echo $((1 << 28 | $1 << 8))
    fi
}

# xvda ... xvdz, xvdaa ...
vbd_name() {
    local letters=abcdefghijklmnopqrstuvwxyz

    if (($1 < 26)); then
        echo "xvd${letters:$1:1}"
    else
        echo "xvd${letters:$1 / 26 - 1:1}${letters:$1 % 26:1}"
    fi
}

# add_program ROOT PROGRAM AS: with its libraries.
add_program() {
    install -D -m 755 "$2" "$1/usr/$3"
    add_libraries "$1" "$2"
}

# write_overlay: what is new in this run's dom0, in a second cpio archive behind the cached one. What
# overlay.list names goes into guests, too.
write_overlay() {
    local root=$run_dir/overlay i program

    mkdir -p "$root/lab" "$root/usr/bin"
    echo "$backend" >"$root/lab/backend"
    echo "$vifs" >"$root/lab/vifs"
    echo "$xenstored" >"$root/lab/xenstored"
    for ((i = 0; i < ${#disks[@]}; i++)); do
        printf '%s %s %s %s\n' $((i + 1)) "$(vbd_number "$i")" "$(vbd_name "$i")" "${disk_modes[i]}"
    done >"$root/lab/disks"
    [[ -z $xenpv ]] || add_program "$root" "$xenpv" bin/xenpv
    for program in "${programs[@]}"; do
        add_program "$root" "$program" "bin/${program##*/}"
    done
    (cd "$root" && find usr) >"$root/lab/overlay.list"
    if [[ $backend == qdisk ]]; then
        add_program "$root" "$qdisk_program" "${qdisk_program#/usr/}"
        install -D -m 644 -t "$root/usr/share/qemu/keymaps" /usr/share/qemu/keymaps/en-us
    fi
    pack "$root"
}

start_qemu() {
    local disk

    cat "$base/initrd" >"$run_dir/initrd" 2>/dev/null ||
        fail "cannot write $run_dir/initrd: is the disk full?"
    write_overlay >>"$run_dir/initrd"
    ln -s "$base/xen" "$base/vmlinux" "$run_dir"
    for ((disk = 0; disk < ${#disks[@]}; disk++)); do
        add_disk "$disk" "${disks[disk]}" "${disk_modes[disk]}"
    done
    # A session of its own, so that the terminal's signals reach only this script, which passes them on.
    (
        cd "$run_dir" || exit
        exec setsid setpriv --pdeathsig KILL qemu-system-x86_64 \
            -machine pc -accel tcg,thread=multi -cpu "$qemu_cpu" -smp "$processors" -m $((dom0_mb + guests_mb)) \
            -nodefaults -no-user-config -display none -monitor none -no-reboot \
            -chardev "file,id=log,path=${log//,/,,},append=on" -serial chardev:log \
            -device virtio-serial-pci \
            -fsdev "local,id=base,path=${base//,/,,},security_model=none,readonly=on" -device virtio-9p-pci,fsdev=base,mount_tag=base \
            -chardev socket,id=dom0,path=dom0,server=on,wait=off -device virtserialport,nr=1,chardev=dom0 \
            -chardev socket,id=guest,path=guest,server=on,wait=off -device virtserialport,nr=2,chardev=guest \
            "${disk_options[@]}" \
            -kernel xen -append "dom0_mem=${dom0_mb}M,max:${dom0_mb}M dom0_max_vcpus=$dom0_cpus $xen_options" \
            -initrd "vmlinux $dom0_options,initrd"
    ) </dev/null >>"$log" 2>&1 &
    qemu=$!
}

# Ends QEMU: what dom0 has written is in the images when it is gone.
stop_qemu() {
    [[ -n ${qemu:-} ]] || return 0
    kill -TERM "$qemu" 2>/dev/null || true
    # In a session of its own, so that it ends with its sleep, and holds none of our streams open.
    setsid sh -c 'sleep 10; kill -KILL "$1"' sh "$qemu" </dev/null >/dev/null 2>&1 &
    local killer=$!
    wait "$qemu" 2>/dev/null || true
    kill -TERM -- "-$killer" 2>/dev/null || kill -TERM "$killer" 2>/dev/null || true
    qemu=
}
