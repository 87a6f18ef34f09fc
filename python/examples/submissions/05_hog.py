# memory limit: allocates without end
hoard = []
while True:
    hoard.append(bytearray(16 << 20))
